"""Views: what the services know, put into the bodies that clients read."""
