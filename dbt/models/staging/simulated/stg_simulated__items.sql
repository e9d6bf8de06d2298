-- grain: one row per item and day on which the source stated it
select
    item_id,
    cast(event_date as date) as event_date,
    title,
    description,
    category,
    brand,
    price_cents,
    image_url,
    available_from_date,
    available_until_date
from {{ landed('simulated', 'items') }} as landed
