-- A reading older than the station that is said to have taken it belongs to somebody else.
select a.location, a.parameter, a.measured_at, s.opened_on
from {{ ref('stg_airquality') }} as a
inner join {{ ref('stg_stations') }} as s on a.location = s.location
where a.measured_at < s.opened_on
