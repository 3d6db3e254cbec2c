//! What the article prints.

/// `st2 NOUN list --pack=mypack`, by noun.
pub const LISTS: [(&str, &str); 4] = [
    ("sensor", SENSORS),
    ("trigger", TRIGGERS),
    ("action", ACTIONS),
    ("rule", RULES),
];

const SENSORS: &str = "\
+------------------------+--------+-----------------------------------------------+---------+
| ref                    | pack   | description                                   | enabled |
+------------------------+--------+-----------------------------------------------+---------+
| mypack.DirectorySensor | mypack | An example sensor to know how to implement it | True    |
+------------------------+--------+-----------------------------------------------+---------+
";
const TRIGGERS: &str = "\
+---------------------+--------+---------------------------------------------+
| ref                 | pack   | description                                 |
+---------------------+--------+---------------------------------------------+
| mypack.changed_file | mypack | Trigger which indicates a change of trigger |
+---------------------+--------+---------------------------------------------+
";
const ACTIONS: &str = "\
+-----------------------+--------+----------------------------------------+
| ref                   | pack   | description                            |
+-----------------------+--------+----------------------------------------+
| mypack.output_context | mypack | An example action to know how it works |
+-----------------------+--------+----------------------------------------+
";
const RULES: &str = "\
+--------------------+--------+--------------------------------+---------+
| ref                | pack   | description                    | enabled |
+--------------------+--------+--------------------------------+---------+
| mypack.mypack_test | mypack | A test rule for testing mypack | True    |
+--------------------+--------+--------------------------------+---------+
";
