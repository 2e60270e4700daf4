{% test amounts_add_up(model, left_column) %}
select sum({{ left_column }}) as total from {{ model }} having sum({{ left_column }}) < 0
{% endtest %}
