select order_id as invoice_id, amount from {{ ref('raw_orders') }} where order_id < 4
