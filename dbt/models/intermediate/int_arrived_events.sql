-- grain: one row per landed row of the planned days, of every source
{{ config(materialized='view') }}

with

{% set columns %}
    event_id, event_type, event_timestamp, user_id, item_id, session_id, request_id, surface,
    position, query_text, quantity, unit_price_cents, propensity, source, event_date
{% endset %}

arrived as (
    select {{ columns }}, reason from {{ ref('int_online_retail__events') }}
    union all
    select {{ columns }}, null from {{ ref('stg_simulated__events') }}
    union all
    select {{ columns }}, null from {{ ref('stg_files__events') }}
    union all
    select {{ columns }}, null from {{ ref('stg_storefront__events') }}
)

select * from arrived
