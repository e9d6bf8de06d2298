-- grain: one row per user and day on which the source stated it
select
    user_id,
    cast(event_date as date) as event_date,
    segment,
    country,
    signup_date
from {{ landed('simulated', 'users') }} as landed
