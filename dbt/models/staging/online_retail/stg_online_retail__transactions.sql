-- grain: one row per landed invoice line of the planned days
select
    line_id as event_id,
    invoice_no,
    stock_code as item_id,
    nullif({{ trimmed('description') }}, '') as item_title,
    quantity,
    {{ utc('invoiced_at') }} as event_timestamp,
    unit_price,
    {{ cents('unit_price') }} as unit_price_cents,
    customer_id as user_id,
    country,
    cast(event_date as date) as event_date
from {{ landed('online_retail', 'transactions') }} as landed
