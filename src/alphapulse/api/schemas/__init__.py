"""Input Validation: the bodies that come in and go out, with every field described."""
