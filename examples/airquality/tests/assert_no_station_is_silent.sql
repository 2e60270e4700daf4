-- A station that stops talking makes no bad row anywhere: it makes no rows. So it is looked for by name.
select location, city, silent_hours, last_reading_at
from {{ ref('station_health') }}
where state <> 'reporting'
