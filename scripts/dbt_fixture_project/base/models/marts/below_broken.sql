{{ config(tags=['broken']) }}
select * from {{ ref('broken_model') }}
