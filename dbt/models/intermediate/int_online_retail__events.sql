-- grain: one row per landed invoice line of the planned days
{{ config(materialized='table') }}

with

lines as (
    select * from {{ ref('stg_online_retail__transactions') }}
),

judged as (
    select
        *,
        case
            when invoice_no like 'A%' then 'bad_debt'
            when not {{ matches('item_id', '^[0-9]{5}[A-Za-z]*$') }} then 'not_an_item'
            when invoice_no not like 'C%' and quantity <= 0 then 'write_off'
            when invoice_no like 'C%' and quantity >= 0 then 'unclear_sign'
            when not unit_price > 0 then 'no_price'
            when user_id is null then 'missing_user'
        end as reason
    from lines
),

renamed as (
    select
        event_id,
        case when invoice_no like 'C%' then 'return' else 'purchase' end as event_type,
        event_timestamp,
        user_id,
        item_id,
        cast(null as varchar) as session_id,
        cast(null as varchar) as request_id,
        cast(null as varchar) as surface,
        cast(null as integer) as position,
        cast(null as varchar) as query_text,
        abs(quantity) as quantity,
        unit_price_cents,
        cast(null as double precision) as propensity,
        'online_retail' as source,
        event_date,
        item_title,
        country,
        reason
    from judged
)

select * from renamed
