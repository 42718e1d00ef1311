"""What keys look like: the forms of known makers, and words that only a generator writes. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

_MAKERS = (
    # language models and their tools
    r"sk-(?=[\w-]*\d)(?:ant-|proj-|live-|svcacct-|or-)?[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}",
    r"hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{30,}|lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}|pcsk_\w{40,}|nvapi-[\w-]{40,}|jina_\w{40,}|e2b_[a-f0-9]{40}",
    r"tvly-[\w-]{20,}|fw_[A-Za-z0-9]{22,}|tgp_v1_[\w-]{30,}|apify_api_\w{30,}",
    # clouds and hosts
    r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[0-9A-Z]{16}|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}|[\w~.-]{3}\dQ~[\w~.-]{31,34}|do[opr]_v1_[a-f0-9]{32,}",
    r"LTAI[A-Za-z0-9]{12,24}|v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}|vercel_blob_rw_\w{20,}|nf[pcou]_\w{30,}|rnd_[A-Za-z0-9]{28,}|fm[12][a-z]?_[\w=+/-]{60,}",
    r"hv[sbr]\.[\w-]{24,}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{50,}|dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,}|pscale_(?:tkn|pw|oauth)_[\w.-]{30,}|tskey-[a-z]+-[\w-]{20,}",
    r"sbp_[a-f0-9]{30,}|sb_(?:secret|publishable)_[\w-]{20,}|dapi[a-f0-9]{32}(?:-\d)?|ops_eyJ[\w-]{40,}|A3(?:-[A-Z0-9]{5,6}){5,7}",
    # code and its delivery
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|rt|dt|ft|soat|cbt|ptt|agent|imt|oas|ffct)-[\w.-]{16,}|ATATT3[\w=-]{60,}|AT(?:BB|CTT3)[\w=-]{20,}",
    r"npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}|rubygems_[a-f0-9]{40,}|dckr_(?:pat|oat)_[\w-]{20,}|sgp_[a-f0-9_]{40,}|sntry[su]_[\w=+/.-]{30,}|gl(?:sa|c)_[\w=+/-]{30,}",
    r"NRAK-[A-Z0-9]{27}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|ph[cx]_[A-Za-z0-9]{40,}",
    # messages, payment, shops
    r"xoxe\.xox[bp]-\d-[\w-]{20,}|xox[abceprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|SG\.[\w-]{16,}\.[\w-]{16,}|key-[a-f0-9]{32}|(?:AC|SK)[a-f0-9]{32}",
    r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}|\d{8,10}:AA[\w-]{33}|(?:sk|pk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{10,}|rzp_(?:live|test)_\w{14,}",
    r"sq0(?:csp|atp|idp)-[\w-]{22,}|EZ[AT]K[A-Za-z0-9]{50,}|shippo_(?:live|test)_[a-f0-9]{40}|shp(?:at|ss|ca|pa)_[a-f0-9]{32}|EAACEdEose0cBA\w+",
    r"lin_(?:api|oauth)_\w{30,}|ntn_[A-Za-z0-9]{30,}|secret_[A-Za-z0-9]{40,}|pat[A-Za-z0-9]{14}\.[a-f0-9]{64}|figd_[\w-]{30,}",
    # of no maker
    r"AGE-SECRET-KEY-1[0-9A-Z]{50,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
)
KEYS = "|".join(_MAKERS)
_WALLET = re.compile(r"[123mn][a-km-zA-HJ-NP-Z1-9]{25,34}")  # an address of Bitcoin is found as such
MIN_EACH = 4  # digits, small and capital letters of a generated word
MIN_CHANGES = (
    0.4  # of the places between characters at which the kind changes; words and numbers change seldom
)


def is_random(word: str) -> bool:
    """Whether a word of 31 characters or more mixes digits, small and capital letters as only a generator does.

    Hashes, which have one case, and names of several words do not.
    """
    if _WALLET.fullmatch(word):
        return False
    run = max(re.split(r"[_-]", word), key=len)
    if len(run) < 24:
        return False
    kinds = ["d" if ch.isdigit() else "u" if ch.isupper() else "l" for ch in run]
    if min(kinds.count("d"), kinds.count("u"), kinds.count("l")) < MIN_EACH:
        return False
    changes = sum(left != right for left, right in pairwise(kinds))
    return changes >= MIN_CHANGES * (len(run) - 1)
