"""Fault script: what goes wrong, for whom, how often, and at which moment.

A fault is data, so that a test, the control API and a file say it the same way. The script only
decides; the server, its wires and the world do it. `menu` lists everything there is.
"""
