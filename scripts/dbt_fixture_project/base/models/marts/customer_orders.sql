select c.customer_id, c.name, e.orders
from {{ ref('stg_customers') }} as c
left join {{ ref('stg_ephemeral') }} as e on c.customer_id = e.customer_id
