{{ config(severity='warn', tags=['finance']) }}
select order_id from {{ ref('stg_orders') }} where amount < 0
