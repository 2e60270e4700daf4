{#- Every value that is there lies between `min_value` and `max_value`; either may be left out. -#}
{% test value_between(model, column_name, min_value=none, max_value=none) %}
{{ config(meta={'qalita': {'dimension': 'validity'}}) }}
select {{ column_name }}
from {{ model }}
where
    {{ column_name }} is not null
    and not (
        {{ column_name }} >= {{ min_value if min_value is not none else column_name }}
        and {{ column_name }} <= {{ max_value if max_value is not none else column_name }}
    )
{% endtest %}
