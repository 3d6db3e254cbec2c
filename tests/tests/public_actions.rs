//! Actions of the Exchange's packs, unmodified.
#![allow(clippy::unwrap_used, reason = "tests")]

use petrel_tests::Place;
use petrel_tests::public::{around, installed, kept, python, run_action};
use serde_json::{Value, json};

/// Makes an Excel file with one empty sheet.
const BOOK: &str = r#"
import sys, zipfile
head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
package = "http://schemas.openxmlformats.org/package/2006/"
kind = "application/vnd.openxmlformats-officedocument.spreadsheetml."
relation = '<Relationships xmlns="%srelationships"><Relationship Id="r1" Type="%s/%s" Target="%s"/></Relationships>'
types = ('<Types xmlns="%scontent-types"><Default Extension="rels" '
         'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
         '<Override PartName="/xl/workbook.xml" ContentType="%ssheet.main+xml"/>'
         '<Override PartName="/xl/sheet.xml" ContentType="%sworksheet+xml"/></Types>')
with zipfile.ZipFile(sys.argv[1], "w") as book:
    for name, text in (
        ("[Content_Types].xml", types % (package, kind, kind)),
        ("_rels/.rels", relation % (package, office, "officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", '<workbook xmlns="%s"><sheets><sheet name="First" sheetId="1" r:id="r1" '
                            'xmlns:r="%s"/></sheets></workbook>' % (main, office)),
        ("xl/_rels/workbook.xml.rels", relation % (package, office, "worksheet", "sheet.xml")),
        ("xl/sheet.xml", '<worksheet xmlns="%s"><sheetData/></worksheet>' % main),
    ):
        book.writestr(name, head + text)
"#;

/// The action with these parameters succeeds, and this is what it returns.
fn returns(place: &Place, args: &[&str], expected: &Value) {
    let shown = run_action(place, args);
    assert_eq!(shown["status"], "succeeded", "{args:?}: {shown}");
    assert_eq!(&shown["result"]["result"], expected, "{args:?}: {shown}");
}

#[test]
fn csv_and_xml_are_read_and_written() {
    let Some(place) = installed(&["csv", "xml"]) else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let rows = json!([["a", "b"], ["1", "x y"]]);
    returns(&place, &["csv.parse", "data=a,b\n1,x y"], &rows);
    let file = place.write("rows.csv", "a;b\n1;'x y'\n");
    let path = format!("file_path={}", file.display());
    let args = ["csv.parse_file", &path, "delimiter=;", "quote_char='"];
    returns(&place, &args, &rows);
    let data = r#"data=[{"a": 1, "b": "x, y"}]"#;
    returns(
        &place,
        &["csv.format", data],
        &json!("a,b\r\n1,\"x, y\"\r\n"),
    );
    let wanted = json!({"r": {"x": {"@y": "1", "#text": "z"}}});
    returns(
        &place,
        &["xml.parse", "data=<r><x y=\"1\">z</x></r>"],
        &wanted,
    );
    let file = place.write("some.xml", "<?xml version='1.0'?><r><x y='1'>z</x></r>");
    let path = format!("file_path={}", file.display());
    returns(&place, &["xml.parse_file", &path], &wanted);
    let failed = run_action(&place, &["xml.parse", "data=<r>"]);
    assert_eq!(failed["status"], "failed", "{failed}");
}

#[test]
fn a_file_of_jinja_is_rendered_with_stackstorms_filters() {
    let Some(place) = installed(&["jinja"]) else {
        return;
    };
    around(&place, "core.st2.sensor.process_spawn", "{}", "unused");
    place.write(
        "packs/mine/templates/report.j2",
        "{% for one in items %}{{ one | regex_replace('a', 'o') }};{% endfor %} \
         {{ took | to_human_time_from_seconds }} {{ nothing }}{{ (__execution | default({})).status }}\n",
    );
    let petrel = place.start();
    petrel.up();
    let kept = run_action(&place, &["mine.keep", "what=x"]);
    let execution = format!("include_execution={}", kept["id"].as_str().unwrap());
    let args = [
        "jinja.render_file",
        "template_pack=mine",
        "template_path=templates/report.j2",
        r#"context={"items": ["cat", "bat"], "took": 65}"#,
    ];
    returns(&place, &args, &json!("cot;bot; 1m5s "));
    let with = [&args[..], &[&execution]].concat();
    returns(&place, &with, &json!("cot;bot; 1m5s succeeded"));
    let outside = [&args[..2], &["template_path=../../x"], &args[3..]].concat();
    let failed = run_action(&place, &outside);
    let why = failed["result"]["stderr"].as_str().unwrap();
    assert!(why.contains("outside pack directory"), "{failed}");
}

#[test]
fn times_are_read() {
    let Some(place) = installed(&["time"]) else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let week = ["time.get_week_boundaries", "date=2016-03-17T10:00:00Z"];
    returns(&place, &week, &json!([1_457_913_600, 1_458_518_399]));
    let date = [
        "time.parse_date_string",
        "date_string=2016-03-17 05:04:24 UTC",
    ];
    returns(&place, &date, &json!(1_458_191_064));
    let now = run_action(&place, &["time.get_week_boundaries"]);
    assert_eq!(now["status"], "succeeded", "{now}");
}

#[test]
fn addresses_and_names_are_judged_without_a_network() {
    let Some(place) = installed(&["networking_utils"]) else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let run = |words: &str, expected: Value| {
        let words = format!("networking_utils.{words}");
        returns(&place, &words.split(' ').collect::<Vec<_>>(), &expected);
    };
    run("contains item=10.0.0.1 container=10.0.0.0/8", json!(true));
    run("hosts network=10.0.0.0/30", json!(["10.0.0.1", "10.0.0.2"]));
    let halves = json!(["10.0.0.0/25", "10.0.0.128/25"]);
    run("subnets network=10.0.0.0/24 new_prefix=25", halves);
    run("is_valid_asa_nameif nameif=inside", json!(true));
    run("is_valid_ip_port port=443", json!(true));
    for (words, name, wanted) in [
        ("ip_calc subnet=10.0.0.0/29", "hostmax", json!("10.0.0.6")),
        ("is_valid_hostname hostname=a.example", "valid", json!(true)),
        ("is_valid_ip ip_address=10.0.0.1", "is_private", json!(true)),
        ("is_valid_ipv4 ip_address=10.0.0.1", "version", json!(4)),
        ("is_valid_ipv6 ip_address=::1", "is_loopback", json!(true)),
    ] {
        let words = format!("networking_utils.{words}");
        let shown = run_action(&place, &words.split(' ').collect::<Vec<_>>());
        assert_eq!(shown["result"]["result"][name], wanted, "{words}: {shown}");
    }
    for words in [
        "is_valid_ipv4 ip_address=::1",
        "is_valid_ip_port port=70000",
    ] {
        let words = format!("networking_utils.{words}");
        let shown = run_action(&place, &words.split(' ').collect::<Vec<_>>());
        assert_eq!(shown["status"], "failed", "{words}: {shown}");
    }
}

#[test]
fn a_sheet_is_written_and_read() {
    let Some(place) = installed(&["excel"]) else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let book = place.path("book.xlsx").display().to_string();
    python(BOOK, &[&book]);
    let file = format!("excel_file={book}");
    let run = |words: &[&str], expected: Value| {
        let words = [words, &[&file]].concat();
        returns(&place, &words, &expected);
    };
    let (sheet, loose) = ("sheet=Rooms", "strict=false");
    for (key, floor) in [("kitchen", 0), ("attic", 3)] {
        let (key, values) = (
            format!("key={key}"),
            format!(r#"variables={{"floor": "{floor}"}}"#),
        );
        run(
            &["excel.set_variables", sheet, loose, &key, &values],
            json!("Success"),
        );
    }
    run(
        &["excel.get_variables", sheet, "key=attic"],
        json!({"floor": 3}),
    );
    run(
        &["excel.get_keys_for_rows", sheet],
        json!(["kitchen", "attic"]),
    );
    run(&["excel.get_keys_for_columns", sheet], json!(["floor"]));
    run(
        &["excel.delete_row", sheet, "key=kitchen"],
        json!("Success"),
    );
    run(&["excel.get_keys_for_rows", sheet], json!(["attic"]));
    let sheets = run_action(&place, &["excel.get_sheets", &file]);
    let names = sheets["result"]["result"].as_array().unwrap();
    assert!(names.contains(&json!("Rooms")), "{sheets}");
}

#[test]
fn a_rule_runs_an_action_of_a_public_pack() {
    let Some(place) = installed(&["csv"]) else {
        return;
    };
    place.sensor(
        "shop.Till",
        "till.sh",
        "#!/bin/sh\necho '{\"row\": \"a,b\"}'\n",
        "",
    );
    place.rule("shop.read", "csv.parse", "{data: '{{ trigger.row }}'}");
    let what = "{{ trigger.result.result[0][1] }}";
    around(&place, "core.st2.generic.actiontrigger", "{}", what);
    let rule = place.read("packs/mine/rules/rule.yaml");
    let only = "criteria:\n  trigger.action_name: {type: eq, pattern: csv.parse}\n";
    place.write(
        "packs/mine/rules/rule.yaml",
        &rule.replace("action:\n", &(only.to_owned() + "action:\n")),
    );
    let petrel = place.start();
    petrel.up();
    assert_eq!(kept(&place, 1), ["b"]);
}
