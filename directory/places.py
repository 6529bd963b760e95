"""Put postal addresses of the national files into one form.

Pure. Three towns are written as a whole where a district is meant: Paris, Lyon and Marseille; the
postcode tells which. Delivery lines begin with a postcode and may end with CEDEX.

Sources
    INSEE, code officiel géographique: communes 751xx, 6938x, 132xx. La Poste: postcodes 750xx,
    75116 (north of the 16th), 6900x, 130xx.
"""

import re
from dataclasses import replace
from typing import Final

from directory.model import PostalAddress

_LINE: Final = re.compile(r"^[0-9]{5} +")
_TOWNS: Final = {  # of the whole town: start of its postcodes, commune of its district 0, districts
    "75056": ("750", 75100, 20),
    "69123": ("6900", 69380, 9),
    "13055": ("130", 13200, 16),
}
_NORTH_OF_16: Final = "75116"


def city_of_line(line: str) -> str:
    """Return the town of a delivery line such as `69003 LYON CEDEX 03`."""
    return _LINE.sub("", line)


def arrondissement(address: PostalAddress) -> PostalAddress:
    """Name the district that the postcode tells, where the whole town is named."""
    town = _TOWNS.get(address.commune)
    if town is None:
        return address
    start, base, districts = town
    postcode = "75016" if address.postcode == _NORTH_OF_16 else address.postcode
    rank = postcode.removeprefix(start)
    if rank == postcode or not rank.isdecimal() or not 1 <= int(rank) <= districts:
        return address
    number = int(rank)
    name = address.city.split(" ")[0]
    return replace(
        address,
        commune=str(base + number),
        city=f"{name} {number}{'er' if number == 1 else 'e'} Arrondissement",
    )
