"""The step after ``dbt build``: what dbt's tests really found, published to QALITA once."""

__version__ = "0.1.0"
