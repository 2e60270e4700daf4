{% test row_count_matches(model, other) %}
select a.n, b.n as m
from (select count(*) as n from {{ model }}) as a, (select count(*) as n from {{ other }}) as b
where a.n <> b.n
{% endtest %}
