"""Exchange Integration: every venue behind one port."""
