{#- No two rows share the same values in all of `columns`. One failure per combination that stands more than once. -#}
{% test unique_combination(model, columns) %}
{{ config(meta={'qalita': {'dimension': 'uniqueness'}}) }}
select {{ columns | join(', ') }}, count(*) as times
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
