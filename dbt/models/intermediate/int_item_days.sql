-- grain: one row per item and day on which a source stated it
with

stated as (
    select * from {{ ref('stg_simulated__items') }}
    union all
    select * from {{ ref('stg_files__items') }}
)

select * from stated
