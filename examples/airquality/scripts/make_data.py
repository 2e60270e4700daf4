#!/usr/bin/env python3
"""Makes the two seeds of this example: two weeks of air quality in four towns that do not exist.

All of it is invented. Nothing was measured, nothing was downloaded, and no name stands for a real place.
The shape is believable: NO2 follows the traffic and rests at the weekend, ozone follows the afternoon sun and
is eaten by NO2, PM2.5 follows the evening stoves and whole still days. Then the things are done to it that
happen to real files; each is described in the README, and `--clean` leaves them out.

The same seed gives the same bytes: only `random.random()` is drawn (the one method that Python promises not
to change), in a fixed order, and values are rounded to a tenth, far above what the mathematics libraries of
two machines differ by.

    python scripts/make_data.py            write seeds/*.csv, defects included
    python scripts/make_data.py --clean    the same two weeks without a defect
    python scripts/make_data.py --seed 7   other weather
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

SEED = 20260202
START = datetime(2026, 2, 2, tzinfo=timezone.utc)  # a Monday
DAYS = 14
EVERY = timedelta(hours=2)
UTC_OFFSET_H = 1  # winter time of the towns: people live by their own clock, the file does not
UNIT = "µg/m³"
HEADER = ("city", "country", "location", "parameter", "value", "unit", "date_utc")
STATION_HEADER = ("location", "city", "country", "kind", "opened_on")


class Station(NamedTuple):
    """A made-up station. traffic and stoves scale NO2 and PM2.5; 1 is an average town."""

    location: str
    city: str
    country: str
    kind: str
    opened_on: str
    traffic: float
    stoves: float


STATIONS = (
    Station("Brumeville - Canal", "Brumeville", "BE", "background", "2019-05-13", 0.7, 1.3),
    Station("Port-Aurel - Capitainerie", "Port-Aurel", "FR", "industrial", "2016-09-01", 0.9, 0.6),
    Station("Saint-Élan - Mairie", "Saint-Élan", "FR", "background", "2021-03-22", 0.4, 1.7),
    Station("Valbourg - Gare", "Valbourg", "FR", "traffic", "2012-01-09", 1.7, 0.9),
    Station("Valbourg - Parc", "Valbourg", "FR", "background", "2014-06-30", 0.8, 1.0),
)


class Reading(NamedTuple):
    station: Station
    parameter: str
    value: float
    at: datetime

    def row(self) -> list[str]:
        s = self.station
        return [s.city, s.country, s.location, self.parameter, f"{self.value:.1f}", UNIT, stamp(self.at)]


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def bump(hour: float, centre: float, width: float) -> float:
    """1 at the centre, falling off over `width` hours, around the clock."""
    distance = min(abs(hour - centre), 24 - abs(hour - centre))
    return math.exp(-0.5 * (distance / width) ** 2)


def noise(rng: random.Random) -> float:
    """Roughly normal around 0, never beyond -1.5 and 1.5."""
    return rng.random() + rng.random() + rng.random() - 1.5


def still_air(rng: random.Random) -> list[float]:
    """One factor a day, the same for every town: still days stay still for a while."""
    factor, days = 1.0, []
    for _ in range(DAYS):
        factor = 0.6 * factor + 0.4 + 0.35 * noise(rng)
        days.append(max(0.5, factor))
    return days


def measure(station: Station, at: datetime, still: float, rng: random.Random) -> list[Reading]:
    """The three pollutants of one station at one moment, in µg/m³."""
    local = at + timedelta(hours=UTC_OFFSET_H)
    hour, weekend = local.hour + local.minute / 60, local.weekday() >= 5
    rush = bump(hour, 8, 1.6) + 0.85 * bump(hour, 18, 2.2)
    traffic = station.traffic * (0.55 if weekend else 1.0)
    no2 = still * (9 + 34 * traffic * rush) + 3 * noise(rng)
    ozone = 32 + 38 * bump(hour, 14.5, 3.2) - 0.35 * no2 + 4 * noise(rng)
    pm25 = still * (6 + 15 * station.stoves * bump(hour, 20.5, 3.0) + 3 * traffic * rush) + 2 * noise(rng)
    values = {"no2": no2, "o3": ozone, "pm25": pm25}
    return [Reading(station, name, max(0.5, value), at) for name, value in values.items()]


def readings(rng: random.Random) -> list[Reading]:
    days = still_air(rng)
    moments = [START + i * EVERY for i in range(int(timedelta(days=DAYS) / EVERY))]
    return [r for at in moments for s in STATIONS for r in measure(s, at, days[(at - START).days], rng)]


def day(number: int, hour: int) -> datetime:
    return START + timedelta(days=number, hours=hour)


def rows(seed: int, *, clean: bool) -> list[list[str]]:
    """The lines of the file without its header, in the order in which a logger would have written them."""
    out: list[list[str]] = []
    for reading in readings(random.Random(seed)):
        out += [reading.row()] if clean else spoil(reading)
    return out


def spoil(reading: Reading) -> list[list[str]]:
    """What the file holds for a good reading: usually that reading, sometimes what real life made of it."""
    row, at, key = reading.row(), reading.at, (reading.station.location, reading.parameter)
    if key[0] == "Brumeville - Canal" and at >= day(9, 12):
        return []  # the silent station: its modem died on Wednesday noon of the second week
    if key == ("Saint-Élan - Mairie", "pm25") and at == day(7, 2):
        row[4] = "-999.0"  # the negative value: a sensor's fault code, delivered as a measurement
    if key == ("Valbourg - Gare", "o3") and day(4, 8) <= at <= day(4, 12):
        row[4:6] = [f"{reading.value / 2:.1f}", "ppb"]  # the unknown unit: a firmware that speaks American
    if key[0] == "Valbourg - Gare" and at == day(10, 6):
        row[0] = ""  # the missing city: three lines of one delivery came without it
    if key == ("Port-Aurel - Capitainerie", "no2") and at == day(4, 8):
        return [row, row]  # the duplicate: one line was delivered twice
    return [row]


def as_csv(header: tuple[str, ...], lines: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue().encode("utf-8")


def files(seed: int = SEED, *, clean: bool = False) -> dict[str, bytes]:
    """File name under seeds/ to its bytes."""
    stations = [[s.location, s.city, s.country, s.kind, s.opened_on] for s in STATIONS]
    return {
        "opendata_airquality.csv": as_csv(HEADER, rows(seed, clean=clean)),
        "opendata_stations.csv": as_csv(STATION_HEADER, stations),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the seeds of the air quality example.")
    parser.add_argument("--seed", type=int, default=SEED, help="other weather (default: %(default)s)")
    parser.add_argument("--clean", action="store_true", help="without the defects")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "seeds")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, content in files(args.seed, clean=args.clean).items():
        (args.out / name).write_bytes(content)
        lines = content.count(b"\n") - 1
        print(f"{args.out / name}: {lines} rows")


if __name__ == "__main__":
    main()
