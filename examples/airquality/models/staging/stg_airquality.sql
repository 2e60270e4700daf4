-- One row per measurement, with names that mean one thing. Nothing is repaired here: a bad row must reach the tests.
select
    nullif(trim(city), '') as city,
    upper(trim(country)) as country,
    trim(location) as location,
    lower(trim(parameter)) as parameter,
    value,
    trim(unit) as unit,
    date_utc as measured_at
from {{ ref('opendata_airquality') }}
