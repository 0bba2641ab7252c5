"""From a config to objects: data, model, train program. The only room that takes configs apart."""
