"""What the pages must be told once, at start."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from cloud.web.answers import Title


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Settings of the pages; `rpc_url` is what the *browser* asks, and goes into the content security policy."""

    public_url: str  # http://localhost:8600
    rpc_url: str | None  # None: checks that need the chain say so instead
    site_title: Title
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    secure_cookie: bool = False  # True wherever the public URL is https
    demo_note: bool = False
