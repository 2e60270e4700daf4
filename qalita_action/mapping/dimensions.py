"""The quality dimension of each test type: a table, and the rule for what is not in it.

Names were read from each package's macros: dbt-core; dbt-labs/dbt-utils 700764c; metaplane/dbt-expectations
77d3856; elementary-data/dbt-data-reliability ccb0de34; Snowflake-Labs/dbt_constraints 205b5cf;
re-data/dbt-re-data c93f125; infinitelambda/dq-tools f3a01ec.
"""

from __future__ import annotations

DEFAULT = "validity"
DIMENSIONS = (
    "completeness",
    "uniqueness",
    "validity",
    "consistency",
    "accuracy",
    "timeliness",
    "reasonability",
    "schema",
)

_EXPECT = "dbt_expectations"

# (namespace, dimension, names). The namespace of dbt's own tests is "".
_TABLE: tuple[tuple[str, str, str], ...] = (
    ("", "completeness", "not_null"),
    ("", "uniqueness", "unique"),
    ("", "validity", "accepted_values"),
    ("", "consistency", "relationships"),
    ("dbt_utils", "completeness", "at_least_one not_empty_string not_null_proportion"),
    ("dbt_utils", "uniqueness", "unique_combination_of_columns"),
    (
        "dbt_utils",
        "validity",
        "accepted_range expression_is_true mutually_exclusive_ranges not_accepted_values sequential_values",
    ),
    (
        "dbt_utils",
        "consistency",
        "cardinality_equality equal_rowcount equality fewer_rows_than relationships_where",
    ),
    ("dbt_utils", "timeliness", "recency"),
    ("dbt_utils", "reasonability", "not_constant"),
    (_EXPECT, "completeness", "expect_column_values_to_be_null expect_column_values_to_not_be_null"),
    (
        _EXPECT,
        "uniqueness",
        "expect_column_proportion_of_unique_values_to_be_between"
        " expect_column_unique_value_count_to_be_between expect_column_values_to_be_unique"
        " expect_compound_columns_to_be_unique expect_select_column_values_to_be_unique_within_record",
    ),
    (
        _EXPECT,
        "validity",
        "expect_column_distinct_values_to_be_in_set expect_column_distinct_values_to_contain_set"
        " expect_column_distinct_values_to_equal_set expect_column_most_common_value_to_be_in_set"
        " expect_column_pair_values_to_be_in_set expect_column_value_lengths_to_be_between"
        " expect_column_value_lengths_to_equal expect_column_values_to_be_between"
        " expect_column_values_to_be_decreasing expect_column_values_to_be_in_set"
        " expect_column_values_to_be_increasing expect_column_values_to_have_consistent_casing"
        " expect_column_values_to_match_like_pattern expect_column_values_to_match_like_pattern_list"
        " expect_column_values_to_match_regex expect_column_values_to_match_regex_list"
        " expect_column_values_to_not_be_in_set expect_column_values_to_not_match_like_pattern"
        " expect_column_values_to_not_match_like_pattern_list expect_column_values_to_not_match_regex"
        " expect_column_values_to_not_match_regex_list expression_between expression_is_true",
    ),
    (
        _EXPECT,
        "consistency",
        "equal_expression expect_column_distinct_count_to_equal_other_table"
        " expect_column_pair_values_A_to_be_greater_than_B expect_column_pair_values_to_be_equal"
        " expect_multicolumn_sum_to_equal expect_table_aggregation_to_equal_other_table"
        " expect_table_row_count_to_equal_other_table"
        " expect_table_row_count_to_equal_other_table_times_factor",
    ),
    (
        _EXPECT,
        "timeliness",
        "expect_grouped_row_values_to_have_recent_data expect_row_values_to_have_data_for_every_n_datepart"
        " expect_row_values_to_have_recent_data",
    ),
    (
        _EXPECT,
        "reasonability",
        "expect_column_distinct_count_to_be_greater_than expect_column_distinct_count_to_be_less_than"
        " expect_column_distinct_count_to_equal expect_column_max_to_be_between"
        " expect_column_mean_to_be_between expect_column_median_to_be_between"
        " expect_column_min_to_be_between expect_column_quantile_values_to_be_between"
        " expect_column_stdev_to_be_between expect_column_sum_to_be_between"
        " expect_column_values_to_be_within_n_moving_stdevs expect_column_values_to_be_within_n_stdevs"
        " expect_table_row_count_to_be_between expect_table_row_count_to_equal",
    ),
    (
        _EXPECT,
        "schema",
        "expect_column_to_exist expect_column_values_to_be_in_type_list expect_column_values_to_be_of_type"
        " expect_table_column_count_to_be_between expect_table_column_count_to_equal"
        " expect_table_column_count_to_equal_other_table expect_table_columns_to_contain_set"
        " expect_table_columns_to_match_ordered_list expect_table_columns_to_match_set"
        " expect_table_columns_to_not_contain_set",
    ),
    ("elementary", "completeness", "expect_column_values_to_not_be_null_with_context not_null_with_context"),
    ("elementary", "uniqueness", "expect_column_values_to_be_unique_with_context"),
    (
        "elementary",
        "validity",
        "accepted_range_with_context ai_data_validation expect_column_values_to_match_regex_with_context"
        " python unstructured_data_validation",
    ),
    ("elementary", "consistency", "relationships_with_context"),
    (
        "elementary",
        "timeliness",
        "data_freshness_sla event_freshness_anomalies execution_sla freshness_anomalies",
    ),
    (
        "elementary",
        "reasonability",
        "all_columns_anomalies column_anomalies dimension_anomalies table_anomalies volume_anomalies"
        " volume_threshold",
    ),
    (
        "elementary",
        "schema",
        "exposure_schema_validity json_schema schema_changes schema_changes_from_baseline",
    ),
    ("dbt_constraints", "consistency", "foreign_key"),
    ("dbt_constraints", "uniqueness", "primary_key unique_key"),
    (
        "re_data",
        "validity",
        "assert_equal assert_false assert_greater assert_greater_equal assert_in_range assert_less"
        " assert_less_equal assert_true",
    ),
    ("re_data", "reasonability", "metric_equal_to metric_expression_is_true metric_in_range"),
    ("dq_tools", "completeness", "not_null_where_db"),
    ("dq_tools", "uniqueness", "unique_where_db"),
    ("dq_tools", "validity", "accepted_values_where_db expression_is_true_db"),
    ("dq_tools", "consistency", "equal_rowcount_where_db equality_where_db relationships_where_db"),
    ("dq_tools", "timeliness", "recency_db"),
)

BY_TYPE: dict[tuple[str, str], str] = {
    (namespace, name): dimension for namespace, dimension, names in _TABLE for name in names.split()
}


def dimension_of(namespace: str | None, test_type: str) -> str | None:
    """The dimension of a generic test, or None where the table does not know it (count it as defaulted)."""
    return BY_TYPE.get((namespace or "", test_type))
