-- One row per station of the network, whether it delivers or not.
select
    trim(location) as location,
    trim(city) as city,
    upper(trim(country)) as country,
    kind,
    opened_on
from {{ ref('opendata_stations') }}
