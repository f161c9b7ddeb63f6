"""Organisations, sites, and the clock of a site."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from latchwork.server.actions import access
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found

YEARS_AHEAD = 5


@dataclass(frozen=True, slots=True)
class Organisation:
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Site:
    id: str
    name: str
    address: str
    time_zone: str
    created_at: datetime


async def create_organisation(office: Office, who: Who, name: str) -> access.FirstToken:
    if not who.root:
        raise Declined(403, "no_access", "Only the token of the first start may create organisations.")
    return await access.create_organisation(office.house(), name)


async def organisation(office: Office, who: Who) -> Organisation:
    found = await office.tables.one(Organisation, "organisation", who.organisation)
    assert found is not None, "a token's organisation exists"
    return found


async def create_site(office: Office, who: Who, name: str, address: str, time_zone: str) -> Site:
    if zone(time_zone) is None:
        raise Declined(422, "unknown_time_zone", "`time_zone` is an IANA name, such as Europe/Berlin.")
    site = Site(office.new_id(), name, address, time_zone, office.now())
    await office.tables.do("create_site", site.id, who.organisation, name, address, time_zone, site.created_at)
    return site


async def sites(office: Office, who: Who) -> list[Site]:
    return await office.tables.all(Site, "sites", who.organisation, LIST_MAX)


async def site(office: Office, who: Who, site_id: str) -> Site:
    found = await office.tables.one(Site, "site", who.organisation, site_id) if is_id(site_id) else None
    if found is None:
        raise not_found("site")
    return found


def zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def utc_offsets(name: str, since: datetime, years: int = YEARS_AHEAD) -> tuple[tuple[datetime, int], ...]:
    """From each instant on, so many minutes east of UTC: a zone as a table, so that a bank needs no zone database."""
    found = zone(name)
    assert found is not None, "checked when the site was made"
    start = since.replace(minute=0, second=0, microsecond=0)
    return tuple(_changes(found, start, start + timedelta(days=365.25 * years)))


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
    def minutes(at: datetime) -> int:
        offset = at.astimezone(zone).utcoffset()
        assert offset is not None
        return int(offset.total_seconds() // 60)

    at, now = start, minutes(start)
    yield start.astimezone(UTC), now
    while at < end:
        ahead = at + timedelta(days=1)
        if minutes(ahead) != now:
            low, high = at, ahead
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                middle = middle.replace(second=0, microsecond=0)
                low, high = (middle, high) if minutes(middle) == now else (low, middle)
            now = minutes(high)
            yield high.astimezone(UTC), now
        at = ahead
