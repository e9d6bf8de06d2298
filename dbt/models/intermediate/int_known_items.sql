-- grain: one row per item that the shop ever stated in a snapshot
{{ config(materialized='view') }}

with

stated as (
    select
        item_id,
        min(event_date) as first_stated_date
    from {{ ref('int_item_days') }}
    group by item_id
)

select * from stated
