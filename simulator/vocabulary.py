"""The words of the shop: what it sells, who makes it, how it is called.

All brands are invented. Every category's materials and accents fit all of its nouns, so that any
combination reads like something a shop would sell.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Category:
    """One shelf of the shop.

    Attributes:
        joiner: The word between noun and accent in a title ("in" a color, "with" a scent).
        price_cents: Median price.
        peak_day: Day of the year (1 to 365) on which the category is wanted most.
        season_strength: Logits between the yearly mean and the peak.
        return_share: Share of purchases that come back.
    """

    name: str
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    accents: tuple[str, ...]
    uses: tuple[str, ...]
    price_cents: int
    joiner: str = "in"
    is_consumable: bool = False
    peak_day: int = 180
    season_strength: float = 0.3
    return_share: float = 0.06


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


COLORS: Final = _words(
    "Sage, Ivory, Charcoal, Terracotta, Navy, Ochre, Blush, Forest, Slate, Plum, Sand, Sky, "
    "Rust, Cream, Olive, Berry"
)
_SCENTS: Final = _words("Lavender, Rosemary, Fig, Orange Blossom, Cedar, Mint, Vanilla, Rose")
_FLAVORS: Final = _words("Bergamot, Ginger, Vanilla, Cinnamon, Lemon, Cocoa, Cardamom, Mint")

CATEGORIES: Final = (
    Category(
        "Kitchen Textiles",
        _words("Apron, Tea Towel, Oven Mitt, Table Runner, Bread Bag, Napkin Set, Pot Holder"),
        _words("Linen, Cotton, Hemp, Waffle-Weave, Recycled Cotton"),
        COLORS,
        _words("weekend baking, long Sunday lunches, everyday cooking, setting a warm table"),
        2_400,
        peak_day=340,
    ),
    Category(
        "Cookware",
        _words("Saucepan, Skillet, Casserole, Stock Pot, Roasting Tin, Wok, Milk Pan"),
        _words("Cast-Iron, Copper, Enamel, Stainless-Steel, Carbon-Steel"),
        COLORS,
        _words("slow stews, crisp searing, family dinners, baking bread"),
        7_900,
        peak_day=335,
        return_share=0.08,
    ),
    Category(
        "Tableware",
        _words("Dinner Plate, Soup Bowl, Mug, Serving Platter, Pitcher, Espresso Cup, Salt Dish"),
        _words("Stoneware, Porcelain, Earthenware, Glazed Clay, Terrazzo"),
        COLORS,
        _words("breakfast in bed, dinner for two, festive tables, a slow morning coffee"),
        2_900,
        peak_day=345,
    ),
    Category(
        "Coffee",
        _words("Espresso Beans, Filter Coffee, Decaf Beans, Cold Brew Packs, Ground Coffee"),
        _words("Single-Origin, Organic, Dark-Roast, Medium-Roast, Light-Roast"),
        _FLAVORS,
        _words("the first cup of the day, a moka pot, pour-over at home, iced afternoons"),
        1_450,
        joiner="with Notes of",
        is_consumable=True,
        peak_day=15,
        return_share=0.01,
    ),
    Category(
        "Tea",
        _words("Black Tea, Green Tea, Herbal Tea, Rooibos, White Tea, Chai Blend"),
        _words("Loose-Leaf, Organic, Hand-Rolled, Smoked, First-Flush"),
        _FLAVORS,
        _words("rainy evenings, an afternoon pause, winding down, sharing with friends"),
        1_150,
        joiner="with",
        is_consumable=True,
        peak_day=10,
        season_strength=0.5,
        return_share=0.01,
    ),
    Category(
        "Bath & Body",
        _words("Soap Bar, Hand Cream, Body Lotion, Bath Salts, Shampoo Bar, Lip Balm"),
        _words("Goat-Milk, Shea-Butter, Olive-Oil, Oatmeal, Sea-Salt"),
        _SCENTS,
        _words("dry winter hands, a long bath, sensitive skin, travel bags"),
        1_250,
        joiner="with",
        is_consumable=True,
        peak_day=350,
        return_share=0.02,
    ),
    Category(
        "Candles",
        _words("Pillar Candle, Tealight Set, Jar Candle, Taper Candle, Travel Candle"),
        _words("Beeswax, Soy-Wax, Rapeseed-Wax, Coconut-Wax, Wood-Wick"),
        _SCENTS,
        _words("dark evenings, a calm bathroom, dinner light, housewarming gifts"),
        1_900,
        joiner="with",
        is_consumable=True,
        peak_day=350,
        season_strength=0.9,
        return_share=0.02,
    ),
    Category(
        "Garden",
        _words("Watering Can, Hand Trowel, Planter, Pruning Shears, Seed Tray, Garden Stool"),
        _words("Galvanized, Oak, Terracotta-Clay, Zinc, Recycled-Steel"),
        COLORS,
        _words("balcony herbs, spring planting, a small city garden, raised beds"),
        3_400,
        peak_day=125,
        season_strength=1.1,
    ),
    Category(
        "Pet Care",
        _words("Dog Biscuits, Cat Treats, Dog Shampoo, Cat Litter, Bird Seed, Chew Sticks"),
        _words("Grain-Free, Organic, Oven-Baked, Cold-Pressed, Puppy-Safe"),
        _words("Salmon, Chicken, Pumpkin, Apple, Oat, Chamomile, Peanut, Carrot"),
        _words("daily walks, small breeds, picky eaters, training rewards"),
        1_350,
        joiner="with",
        is_consumable=True,
        peak_day=200,
        season_strength=0.1,
        return_share=0.02,
    ),
    Category(
        "Knitwear",
        _words("Cardigan, Sweater, Beanie, Scarf, Mittens, Roll-Neck, Poncho"),
        _words("Merino, Cashmere, Alpaca, Lambswool, Organic Cotton"),
        COLORS,
        _words("crisp mornings, layering, weekends by the sea, cold commutes"),
        8_200,
        peak_day=345,
        season_strength=1.0,
        return_share=0.18,
    ),
    Category(
        "Bags",
        _words("Tote, Backpack, Weekender, Crossbody Bag, Wallet, Laptop Sleeve, Wash Bag"),
        _words("Waxed-Canvas, Leather, Cork, Recycled-Nylon, Denim"),
        COLORS,
        _words("the daily commute, short trips, farmers markets, carry-on travel"),
        6_600,
        peak_day=240,
        return_share=0.12,
    ),
    Category(
        "Stationery",
        _words("Notebook, Planner, Letter Set, Desk Pad, Sketchbook, Pen Roll, Wall Calendar"),
        _words("Cloth-Bound, Recycled-Paper, Stitched, Kraft, Laid-Paper"),
        COLORS,
        _words("morning pages, term planning, thank-you notes, field sketches"),
        1_700,
        peak_day=5,
        season_strength=0.8,
    ),
    Category(
        "Bedding",
        _words("Duvet Cover, Pillowcase, Throw, Quilt, Fitted Sheet, Bedspread, Cushion Cover"),
        _words("Washed Linen, Percale, Sateen, Muslin, Brushed Cotton"),
        COLORS,
        _words("warm nights, a guest room, deep sleep, lazy Sundays"),
        7_400,
        peak_day=20,
        return_share=0.1,
    ),
    Category(
        "Lighting",
        _words("Table Lamp, Pendant Light, Floor Lamp, Wall Sconce, Desk Lamp, Lantern"),
        _words("Brass, Rattan, Paper, Blown-Glass, Ceramic"),
        COLORS,
        _words("reading corners, a dining table, soft evening light, a narrow hallway"),
        9_800,
        peak_day=320,
        season_strength=0.6,
        return_share=0.09,
    ),
    Category(
        "Toys",
        _words("Building Blocks, Stacking Rings, Puzzle, Pull-Along Duck, Play Kitchen, Rattle"),
        _words("Beechwood, Maple, Felt, Organic Cotton, Birch"),
        COLORS,
        _words("rainy afternoons, first birthdays, quiet play, little builders"),
        3_100,
        peak_day=345,
        season_strength=0.9,
        return_share=0.07,
    ),
)

BRANDS: Final = _words(
    "Morrow & Finch, Alder House, Kestrel & Co, Bramblewick, Northlight, Oat & Ember, Saltmarsh, "
    "Wren & Willow, Hollin, Tidewell, Fernby, Marlowe Lane, Dovecote Studio, Pebble & Pine, "
    "Larkfield, Thistle & Thread, Juniper Row, Casa Ondina, Greywater, Birchall, Lumen & Loom, "
    "Oxbow, Petrichor, Quillon, Hearthstead, Sorrel & Sons, Vanterre, Elmsgate, Nettlecombe, "
    "Cobalt Kiln, Rook & Rye, Summerfold, Ashdown Mill, Meridienne, Bluestem, Harrow & Hay, "
    "Ostra, Windlestone, Plover, Tallow Street"
)

SEGMENTS: Final = ("student", "family", "professional", "retiree")
SEGMENT_SHARES: Final = (0.2, 0.35, 0.3, 0.15)
SEGMENT_PRICE_TASTES: Final = (-0.9, -0.1, 0.7, 0.2)
"""What each segment likes to pay, in price tiers (0 is the category's median)."""

SEGMENT_CATEGORIES: Final = (
    ("Stationery", "Coffee", "Bags", "Lighting"),
    ("Toys", "Kitchen Textiles", "Pet Care", "Bedding"),
    ("Coffee", "Cookware", "Knitwear", "Lighting"),
    ("Garden", "Tea", "Bath & Body", "Tableware"),
)
"""The categories each segment leans to."""

COUNTRIES: Final = ("GB", "DE", "FR", "NL", "IE", "US")
COUNTRY_SHARES: Final = (0.52, 0.14, 0.12, 0.09, 0.07, 0.06)
