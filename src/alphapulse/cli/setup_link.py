"""`alphapulse setup-link`: a new one-time link to create the first admin."""

from alphapulse.cli.console import out, print_json
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir
from alphapulse.cli.serve import setup_link as link_of


def setup_link(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """Print a new set-up link; the one before it no longer works."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    code = client.post("/api/user/setup-code", {})["code"]
    link = link_of(client.url, code)
    if as_json:
        print_json({"link": link, "code": code})
    else:
        out.print(f"Open to create your admin login (one use, 15 minutes):\n{link}", soft_wrap=True)
