-- grain: one row per landed event of the planned days
{{ landed_events('simulated') }}
