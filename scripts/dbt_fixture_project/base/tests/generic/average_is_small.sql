{% test average_is_small(model, column_name) %}
{{ config(fail_calc='avg(' ~ column_name ~ ')', warn_if='>5', error_if='>1000') }}
select {{ column_name }} from {{ model }}
{% endtest %}
