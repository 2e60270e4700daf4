select o.order_id
from {{ ref('stg_orders') }} as o
left join {{ ref('stg_customers') }} as c on o.customer_id = c.customer_id
where c.customer_id is null
