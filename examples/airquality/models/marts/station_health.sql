-- One row per station: is it still talking? Silence is counted from the network's last reading, not from the clock,
-- so that an old extract does not make every station look dead.
with network as (
    select
        max(last_reading_at) as last_reading_at,
        max(readings) as most_readings
    from {{ ref('stg_station_readings') }}
)

select
    s.location,
    s.city,
    s.kind,
    coalesce(r.readings, 0) as readings,
    r.last_reading_at,
    date_diff('hour', coalesce(r.last_reading_at, s.opened_on), n.last_reading_at) as silent_hours,
    round(coalesce(r.readings, 0) / n.most_readings, 3) as completeness,
    case
        when r.readings is null then 'never'
        when date_diff('hour', r.last_reading_at, n.last_reading_at) > {{ var('silence_limit_hours', 24) }} then 'silent'
        else 'reporting'
    end as state
from {{ ref('stg_stations') }} as s
cross join network as n
left join {{ ref('stg_station_readings') }} as r on s.location = r.location
