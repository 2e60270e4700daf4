select order_id, customer_id, status, amount, ordered_at, libelle as "libellé"
from {{ ref('raw_orders') }}
