-- The days on which a city's average passed a guide value. The limits are the example's own.
with limits (parameter, daily_limit) as (
    values ('no2', 25.0), ('o3', 60.0), ('pm25', 15.0)
)

select
    m.city,
    m.day,
    m.parameter,
    m.avg_value,
    l.daily_limit,
    round(m.avg_value / l.daily_limit, 2) as times_the_limit
from {{ ref('airquality_metrics') }} as m
inner join limits as l on m.parameter = l.parameter
where m.avg_value > l.daily_limit
