-- One row per station that ever delivered: how much, and when last. A reading delivered twice counts once.
select
    trim(location) as location,
    count(distinct (lower(trim(parameter)), date_utc)) as readings,
    min(date_utc) as first_reading_at,
    max(date_utc) as last_reading_at
from {{ ref('opendata_airquality') }}
group by 1
