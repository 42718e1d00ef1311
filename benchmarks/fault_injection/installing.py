"""Installing the app in a local workspace as an admin's browser does."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx


def install(bot_url: str, slack_url: str, team: str) -> None:
    """From the bot's page over the workspace's and back; raises for a page that is not "installed"."""
    page_url = f"{bot_url}/slack/install"
    with httpx.Client(trust_env=False, timeout=120) as browser:
        page = browser.get(page_url)
        cookie = page.headers["set-cookie"].split(";")[0]
        address = re.search(r'href="([^"]*authorize[^"]*)"', page.text)
        assert address
        state = parse_qs(urlsplit(address[1].replace("&amp;", "&")).query)["state"][0]
        back = page_url.replace("install", "oauth_redirect")
        form = {"team": team, "state": state, "redirect_uri": back}
        place = browser.post(f"{slack_url}/oauth/v2/allow", data=form).headers["location"]
        browser.get(place, headers={"cookie": cookie}).raise_for_status()
