//! Tables, JSON and YAML, in the looks of StackStorm's client.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::ASCII_FULL_CONDENSED;
use comfy_table::{ContentArrangement, LineStyle, Table};
use serde::Serialize;
use serde_json::Value;

use super::Client;

/// One line on standard output.
pub fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// JSON with four blanks, keys in order.
pub fn json(value: &Value) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let four = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, four);
    sorted(value).serialize(&mut serializer)?;
    line(&String::from_utf8(text)?)
}

fn yaml(value: &Value) -> anyhow::Result<()> {
    line(serde_yaml::to_string(&sorted(value))?.trim_end())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            members
                .into_iter()
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A list, with these columns unless others were asked for.
pub fn list(client: &Client, rows: &Value, columns: &[&str]) -> anyhow::Result<()> {
    if client.json {
        return json(rows);
    }
    if client.yaml {
        return yaml(rows);
    }
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = rows.first() else {
        return line("No matching items found");
    };
    let columns = chosen(client, first, columns);
    let mut table = table(&columns);
    for row in rows {
        table.add_row(columns.iter().map(|path| cell(at(row, path))));
    }
    line(&table.to_string())
}

/// One thing: its properties, these first.
pub fn one(client: &Client, thing: &Value, columns: &[&str]) -> anyhow::Result<()> {
    if client.json {
        return json(thing);
    }
    if client.yaml {
        return yaml(thing);
    }
    let mut table = table(&["Property".to_owned(), "Value".to_owned()]);
    for path in chosen(client, thing, columns) {
        let value = cell(at(thing, &path));
        table.add_row([path, value]);
    }
    line(&table.to_string())
}

fn chosen(client: &Client, sample: &Value, columns: &[&str]) -> Vec<String> {
    if client.attr.iter().any(|attr| attr == "all") {
        let members = sample.as_object().into_iter().flatten();
        return members.map(|(name, _)| name.clone()).collect();
    }
    match client.attr.is_empty() {
        true => columns.iter().map(|&name| name.to_owned()).collect(),
        false => client.attr.clone(),
    }
}

fn table(header: &[String]) -> Table {
    let mut table = Table::new();
    // PrettyTable's look: a line above and below the header, one at the end.
    let plain = LineStyle::new('+', '-', '+', '+');
    table
        .load_style(ASCII_FULL_CONDENSED.header_separator(plain))
        .set_header(header);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn at<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |value, name| &value[name])
}

/// As StackStorm prints it: Python's words for what is not text, JSON for what is inside.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            texts.join(", ")
        }
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }
        Value::Number(number) => number.to_string(),
    }
}

/// Whoever read our output has seen enough.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_look_like_stackstorms() {
        let mut table = table(&["ref".to_owned(), "enabled".to_owned()]);
        table.add_row(["mypack.DirectorySensor", "True"]);
        let expected = "\
+------------------------+---------+
| ref                    | enabled |
+------------------------+---------+
| mypack.DirectorySensor | True    |
+------------------------+---------+";
        assert_eq!(table.to_string(), expected);
    }
}
