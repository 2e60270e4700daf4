-- One row per city, pollutant and day: what a dashboard shows. dbt does not build it while a test of
-- stg_airquality fails, so that a fault code of -999 never becomes an average.
select
    city,
    country,
    parameter,
    cast(measured_at as date) as day,
    count(*) as readings,
    round(avg(value), 2) as avg_value,
    max(value) as max_value,
    min(unit) as unit
from {{ ref('stg_airquality') }}
group by 1, 2, 3, 4
