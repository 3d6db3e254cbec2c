//! The configuration of one of several instances of a sensor.

use serde_json::{Map, Value};

use super::check::misfits;
use super::fill::fill;
use super::{is_dynamic, shape};
use crate::catalog::diagnostics::Diagnostic;
use crate::catalog::model::Pack;
use crate::config::InstanceSettings;

/// The pack as an instance sees it: the instance's configuration over the pack's, member by member
/// at every depth, under the pack's schema. What does not fit is an error where the instance stands.
pub fn of_instance(pack: &Pack, instance: &InstanceSettings) -> (Pack, Vec<Diagnostic>) {
    let mut written = pack.written_config.clone();
    lay_over(&mut written, &instance.config);
    let mut config = written.clone();
    fill(&pack.config_schema, &mut config);
    let found = misfits(&pack.config_schema, &pack.config_check, &config, true);
    let faults = found.into_iter().map(|misfit| {
        let message = format!(
            "instance \"{}\": \"{}\" does not fit its schema: {}",
            instance.name, misfit.path, misfit.message
        );
        Diagnostic {
            message,
            ..instance.place.clone()
        }
    });
    let secrets = shape::secrets(&pack.config_schema, &config);
    let own = Pack {
        secrets: secrets.into_iter().map(|(path, _)| path).collect(),
        is_dynamic: written.values().any(is_dynamic),
        config,
        written_config: written,
        ..pack.clone()
    };
    (own, faults.collect())
}

fn lay_over(below: &mut Map<String, Value>, above: &Map<String, Value>) {
    for (name, value) in above {
        match (below.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay_over(below, above),
            _ => drop(below.insert(name.clone(), value.clone())),
        }
    }
}
