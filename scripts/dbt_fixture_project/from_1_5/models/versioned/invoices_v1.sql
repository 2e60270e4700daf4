select order_id as invoice_id from {{ ref('raw_orders') }} where order_id < 4
