//===- Manifest.cpp - What a folder with a program holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Manifest.h"

#include "Support.h"

#include "weir/Support/Files.h"
#include "weir/Support/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <limits>

using namespace llvm;

namespace weir {
namespace {

/// Reads typed members of one JSON object and keeps the first error, so that
/// the code that reads a manifest stays a list of its keys.
class Reader {
public:
  Reader(const json::Object &object, std::string where, Error &error)
      : members(object), where(std::move(where)), error(error) {}

  bool has(StringRef key) const { return members.get(key) != nullptr; }

  std::string string(StringRef key) {
    if (std::optional<StringRef> text = members.getString(key))
      return text->str();
    report(key, "a string");
    return {};
  }

  int64_t integer(StringRef key) {
    if (std::optional<int64_t> number = members.getInteger(key))
      return *number;
    report(key, "an integer");
    return 0;
  }

  double number(StringRef key) {
    if (std::optional<double> number = members.getNumber(key))
      return *number;
    report(key, "a number");
    return 0;
  }

  bool boolean(StringRef key) {
    if (std::optional<bool> value = members.getBoolean(key))
      return *value;
    report(key, "true or false");
    return false;
  }

  std::vector<std::string> strings(StringRef key) {
    std::vector<std::string> out;
    const json::Array *array = members.getArray(key);
    if (!array) {
      report(key, "a list of strings");
      return out;
    }
    for (const json::Value &element : *array) {
      std::optional<StringRef> text = element.getAsString();
      if (!text) {
        report(key, "a list of strings");
        return out;
      }
      out.push_back(text->str());
    }
    return out;
  }

  /// Calls `read` on every element of a list of objects; a missing list is an
  /// empty one.
  void objects(StringRef key, function_ref<void(Reader &)> read) {
    const json::Value *value = members.get(key);
    if (!value)
      return;
    const json::Array *array = value->getAsArray();
    if (!array)
      return report(key, "a list of objects");
    for (auto [index, element] : enumerate(*array)) {
      const json::Object *inner = element.getAsObject();
      if (!inner)
        return report(key, "a list of objects");
      Reader reader(*inner, formatv("{0}{1}[{2}].", where, key, index).str(),
                    error);
      read(reader);
    }
  }

  /// Calls `read` on an object, if there is one.
  void object(StringRef key, function_ref<void(Reader &)> read) {
    const json::Value *value = members.get(key);
    if (!value || value->kind() == json::Value::Null)
      return;
    const json::Object *inner = value->getAsObject();
    if (!inner)
      return report(key, "an object");
    Reader reader(*inner, (where + key + ".").str(), error);
    read(reader);
  }

  std::optional<Manifest::File> file(StringRef key) {
    std::optional<Manifest::File> out;
    object(key, [&](Reader &entry) {
      out = Manifest::File{entry.string("path"), entry.string("sha256"), {}};
      if (entry.has("bytes"))
        out->bytes = entry.integer("bytes");
    });
    return out;
  }

private:
  void report(StringRef key, StringRef what) {
    if (!error)
      error = fail("\"{0}{1}\" must be {2}", where, key, what);
  }

  const json::Object &members;
  std::string where;
  Error &error;
};

Error checkPath(StringRef path, StringRef key) {
  if (path.empty() || sys::path::is_absolute(path) || path.contains('\0') ||
      is_contained(
          llvm::make_range(sys::path::begin(path), sys::path::end(path)), ".."))
    return fail("\"{0}.path\" is '{1}': it must stay inside the folder", key,
                path);
  return Error::success();
}

Error checkHash(StringRef hash, const Twine &key) {
  if (hash.size() != 64 || !all_of(hash, [](char c) {
        return isDigit(c) || (c >= 'a' && c <= 'f');
      }))
    return fail("\"{0}\" must be 64 lower-case hexadecimal digits", key.str());
  return Error::success();
}

Error checkFile(const Manifest::File &file, StringRef key) {
  if (Error error = checkPath(file.path, key))
    return error;
  return checkHash(file.sha256, key + ".sha256");
}

/// A number that a knob's input can hold.
bool fitsFloat(double value) {
  return std::abs(value) <= std::numeric_limits<float>::max();
}

/// Where two documents differ first, in words; empty if nowhere. `path` is the
/// place of both.
std::string differenceOf(const json::Value &manifest, const json::Value &record,
                         const std::string &path) {
  const json::Object *object = manifest.getAsObject();
  const json::Object *other = record.getAsObject();
  if (object && other) {
    std::vector<StringRef> keys;
    for (const json::Object *side : {object, other})
      for (const auto &entry : *side)
        keys.push_back(entry.first);
    llvm::sort(keys);
    keys.erase(llvm::unique(keys), keys.end());
    for (StringRef key : keys) {
      std::string inner = (path.empty() ? key : path + "." + key).str();
      const json::Value *a = object->get(key), *b = other->get(key);
      if (!a || !b)
        return formatv("\"{0}\" is only in the {1}", inner,
                       a ? "manifest" : "program")
            .str();
      std::string found = differenceOf(*a, *b, inner);
      if (!found.empty())
        return found;
    }
    return {};
  }
  const json::Array *list = manifest.getAsArray();
  const json::Array *otherList = record.getAsArray();
  if (list && otherList) {
    for (size_t i = 0, e = std::min(list->size(), otherList->size()); i != e;
         ++i) {
      std::string found = differenceOf((*list)[i], (*otherList)[i],
                                       formatv("{0}[{1}]", path, i).str());
      if (!found.empty())
        return found;
    }
    if (list->size() != otherList->size())
      return formatv("\"{0}\" has {1} entries in the manifest and {2} in the "
                     "program",
                     path, list->size(), otherList->size())
          .str();
    return {};
  }
  if (manifest == record)
    return {};
  return formatv("\"{0}\" is {1} in the manifest and {2} in the program", path,
                 manifest, record)
      .str();
}

template <typename Range, typename Name>
Error checkUnique(const Range &range, StringRef key, Name name) {
  StringSet<> seen;
  for (const auto &element : range) {
    StringRef text = name(element);
    if (text.empty())
      return fail("\"{0}\" has an entry without a name", key);
    if (!seen.insert(text).second)
      return fail("\"{0}\" names '{1}' twice", key, text);
  }
  return Error::success();
}

std::string listOf(ArrayRef<std::string> names) {
  return names.empty() ? std::string("(none)") : join(names, ", ");
}

} // namespace

Error Manifest::check() const {
  if (Error error = checkFile(program, "program"))
    return error;
  if (aot)
    if (Error error = checkFile(*aot, "aot"))
      return error;
  if (kernels)
    if (Error error = checkFile(*kernels, "kernels"))
      return error;
  if (table)
    if (Error error = checkFile(*table, "table"))
      return error;
  if (report)
    if (Error error = checkPath(*report, "report"))
      return error;
  std::vector<std::string> names = files();
  if (Error error = checkUnique(
          names, "path", [](const std::string &name) { return StringRef(name); }))
    return error;
  return checkSteering();
}

Error Manifest::checkSteering() const {
  if (spec)
    if (Error error = checkFile(*spec, "spec"))
      return error;
  if (model) {
    if (Error error = checkHash(model->weights, "model.weights"))
      return error;
    if (Error error = checkHash(model->graph, "model.graph"))
      return error;
  }

  auto identity = [](const std::string &name) { return StringRef(name); };
  if (Error error = checkUnique(plans, "plans", identity))
    return error;
  if (is_contained(plans, unsteered))
    return fail("a plan cannot be called '{0}': that is the name of a row "
                "without steering",
                unsteered);
  if (Error error = checkUnique(inputs, "inputs", identity))
    return error;
  if (Error error = checkUnique(outputs, "outputs", identity))
    return error;
  auto nameOf = [](const auto &entry) { return StringRef(entry.name); };
  if (Error error = checkUnique(dictionaries, "dictionaries", nameOf))
    return error;
  if (Error error = checkUnique(knobs, "knobs", nameOf))
    return error;
  if (Error error = checkUnique(records, "records", nameOf))
    return error;

  for (const Knob &knob : knobs)
    if (!fitsFloat(knob.min) || !fitsFloat(knob.max) ||
        !(knob.min <= knob.defaultValue && knob.defaultValue <= knob.max))
      return fail("the default {0} of knob '{1}' is not within {2}..{3}",
                  shortNumber(knob.defaultValue), knob.name,
                  shortNumber(knob.min), shortNumber(knob.max));

  if (Error error = checkFixed())
    return error;
  std::vector<std::string> expected;
  auto expect = [&](InputRole role) { expected.push_back(roleName(role).str()); };
  expect(InputRole::InputIds);
  expect(InputRole::Positions);
  if (fixed) {
    // What is fixed may still depend on where the prompt ends.
    if (inputs.size() > 2)
      expect(InputRole::PromptLength);
  } else if (inputs.size() > 2 || !plans.empty() || !knobs.empty()) {
    expect(InputRole::PromptLength);
    expect(InputRole::Plan);
    if (!knobs.empty())
      expect(InputRole::Knobs);
  }
  if (inputs != expected)
    return fail("\"inputs\" are {0}, but a program with {1} plans and {2} "
                "knobs takes {3}",
                listOf(inputs), plans.size(), knobs.size(), listOf(expected));
  if (outputs.empty() || outputs.front() != logitsName)
    return fail("the first of \"outputs\" must be {0}", logitsName);
  for (const Record &record : records)
    if (record.output < 1 ||
        record.output >= static_cast<int64_t>(outputs.size()))
      return fail("record '{0}' names output {1}; the program has {2}",
                  record.name, record.output, outputs.size());
  for (const Site &site : sites)
    if (site.layer < 0 || site.site.empty())
      return fail("\"sites\" has an entry without a name or with a negative "
                  "layer");
  return checkPolicies();
}

Error Manifest::checkFixed() const {
  if (!fixed)
    return Error::success();
  if (plans.size() != 1 || !knobs.empty())
    return fail("a fixed program has one plan and no knobs, not {0} and {1}",
                plans.size(), knobs.size());
  for (const Fixed::Knob &knob : fixed->knobs)
    if (!fitsFloat(knob.value))
      return fail("knob '{0}' is fixed at no number of f32", knob.name);
  if (Error error = checkUnique(
          fixed->knobs, "fixed.knobs",
          [](const Fixed::Knob &knob) { return StringRef(knob.name); }))
    return error;
  if (fixed->weights.empty())
    return Error::success();
  return checkHash(fixed->weights, "fixed.weights");
}

Error Manifest::checkPolicies() const {
  if (Error error = checkUnique(policies, "policies", [](const Policy &entry) {
        return StringRef(entry.name);
      }))
    return error;
  StringSet<> knownPlans, known;
  for (const std::string &plan : plans)
    knownPlans.insert(plan);
  for (const Policy &policy : policies)
    known.insert(policy.name);
  auto isKnown = [&](StringRef name) { return known.contains(name); };
  for (const Policy &policy : policies)
    for (const std::string &plan : policy.plans)
      if (!knownPlans.contains(plan))
        return fail("policy '{0}' is in the plan '{1}', which there is not",
                    policy.name, plan);
  for (const Record &record : records)
    if (!record.policy.empty() && !isKnown(record.policy))
      return fail("record '{0}' is of the policy '{1}', which there is not",
                  record.name, record.policy);
  for (const Count &count : counts) {
    if (count.site.empty() || count.layer < 0 || count.output < 1 ||
        count.output >= static_cast<int64_t>(outputs.size()))
      return fail("\"counts\" has an entry without a site or an output of the "
                  "program");
    for (const std::string &policy : count.policies)
      if (!isKnown(policy))
        return fail("\"counts\" names the policy '{0}', which there is not",
                    policy);
  }
  return Error::success();
}

Expected<Manifest> Manifest::parse(StringRef text) {
  return parse(text, /*isRecord=*/false);
}

Expected<Manifest> Manifest::parseRecord(StringRef text) {
  return parse(text, /*isRecord=*/true);
}

Expected<Manifest> Manifest::parse(StringRef text, bool isRecord) {
  Expected<json::Value> value = parseJSON(text);
  if (!value)
    return value.takeError();
  const json::Object *object = value->getAsObject();
  if (!object)
    return fail("the manifest is not a JSON object");
  std::optional<int64_t> version = object->getInteger("weir");
  if (version != 1)
    return version ? fail("manifest version {0} is not known (1 is)", *version)
                   : fail("\"weir\": 1 is missing");

  Manifest out;
  Error error = Error::success();
  (void)!!error;
  Reader reader(*object, "", error);
  std::optional<File> programFile;
  if (!isRecord) {
    programFile = reader.file("program");
    out.aot = reader.file("aot");
    out.kernels = reader.file("kernels");
    out.table = reader.file("table");
    reader.object("report",
                  [&](Reader &entry) { out.report = entry.string("path"); });
  }
  out.spec = reader.file("spec");
  reader.object("model", [&](Reader &entry) {
    out.model = Model{entry.string("name"), entry.string("family"),
                      entry.string("dtype"), entry.string("weights"),
                      entry.string("graph"),
                      entry.has("arithmetic") ? entry.string("arithmetic") : ""};
  });
  reader.objects("dictionaries", [&](Reader &entry) {
    out.dictionaries.push_back({entry.string("name"), entry.string("sha256")});
  });
  reader.objects("sites", [&](Reader &entry) {
    out.sites.push_back({entry.string("site"), entry.integer("layer")});
  });
  reader.objects("knobs", [&](Reader &entry) {
    out.knobs.push_back({entry.string("name"), entry.number("default"),
                         entry.number("min"), entry.number("max")});
  });
  reader.objects("records", [&](Reader &entry) {
    out.records.push_back({entry.string("name"), entry.integer("output"),
                           entry.strings("features"),
                           entry.has("policy") ? entry.string("policy") : ""});
  });
  reader.objects("policies", [&](Reader &entry) {
    out.policies.push_back({entry.string("name"), entry.boolean("edits"),
                            entry.strings("plans")});
  });
  reader.objects("counts", [&](Reader &entry) {
    out.counts.push_back({entry.string("site"), entry.integer("layer"),
                          entry.integer("output"), entry.strings("policies")});
  });
  reader.object("fixed", [&](Reader &entry) {
    out.fixed.emplace();
    entry.objects("knobs", [&](Reader &knob) {
      out.fixed->knobs.push_back({knob.string("name"), knob.number("value")});
    });
    if (entry.has("weights"))
      out.fixed->weights = entry.string("weights");
  });
  out.plans = reader.strings("plans");
  out.inputs = reader.strings("inputs");
  out.outputs = reader.strings("outputs");
  if (error)
    return std::move(error);
  if (!programFile && !isRecord)
    return fail("\"program\" is missing");
  if (programFile)
    out.program = std::move(*programFile);
  if (Error wrong = isRecord ? out.checkSteering() : out.check())
    return std::move(wrong);
  return out;
}

Expected<Manifest> Manifest::read(StringRef path) {
  Expected<std::string> text = readText(path);
  if (!text)
    return text.takeError();
  Expected<Manifest> manifest = parse(*text);
  if (!manifest)
    return fail("{0}: {1}", path, toString(manifest.takeError()));
  return manifest;
}

static json::Object fileJSON(const Manifest::File &file) {
  json::Object out{{"path", file.path}, {"sha256", file.sha256}};
  if (file.bytes)
    out["bytes"] = *file.bytes;
  return out;
}

json::Value Manifest::toJSON() const {
  json::Object out = recordJSON();
  out["program"] = fileJSON(program);
  if (aot)
    out["aot"] = fileJSON(*aot);
  if (kernels)
    out["kernels"] = fileJSON(*kernels);
  if (table)
    out["table"] = fileJSON(*table);
  if (report)
    out["report"] = json::Object{{"path", *report}};
  return out;
}

json::Object Manifest::recordJSON() const {
  auto list = [](const auto &range, auto convert) {
    json::Array array;
    for (const auto &element : range)
      array.push_back(convert(element));
    return array;
  };
  json::Object out{{"weir", 1}};
  if (spec)
    out["spec"] = fileJSON(*spec);
  if (model) {
    json::Object about{{"name", model->name},
                       {"family", model->family},
                       {"dtype", model->dtype},
                       {"weights", model->weights},
                       {"graph", model->graph}};
    if (!model->arithmetic.empty())
      about["arithmetic"] = model->arithmetic;
    out["model"] = std::move(about);
  }
  out["dictionaries"] = list(dictionaries, [](const Dictionary &entry) {
    return json::Object{{"name", entry.name}, {"sha256", entry.sha256}};
  });
  out["sites"] = list(sites, [](const Site &entry) {
    return json::Object{{"site", entry.site}, {"layer", entry.layer}};
  });
  out["plans"] = json::Array(plans);
  out["knobs"] = list(knobs, [](const Knob &entry) {
    return json::Object{{"name", entry.name},
                        {"default", entry.defaultValue},
                        {"min", entry.min},
                        {"max", entry.max}};
  });
  out["inputs"] = json::Array(inputs);
  out["outputs"] = json::Array(outputs);
  out["records"] = list(records, [](const Record &entry) {
    json::Object record{{"name", entry.name},
                        {"output", entry.output},
                        {"features", json::Array(entry.features)}};
    if (!entry.policy.empty())
      record["policy"] = entry.policy;
    return record;
  });
  if (!policies.empty())
    out["policies"] = list(policies, [](const Policy &entry) {
      return json::Object{{"name", entry.name},
                          {"edits", entry.edits},
                          {"plans", json::Array(entry.plans)}};
    });
  if (!counts.empty())
    out["counts"] = list(counts, [](const Count &entry) {
      return json::Object{{"site", entry.site},
                          {"layer", entry.layer},
                          {"output", entry.output},
                          {"policies", json::Array(entry.policies)}};
    });
  if (fixed) {
    json::Object entry{{"knobs", list(fixed->knobs, [](const Fixed::Knob &knob) {
                          return json::Object{{"name", knob.name},
                                              {"value", knob.value}};
                        })}};
    if (!fixed->weights.empty())
      entry["weights"] = fixed->weights;
    out["fixed"] = std::move(entry);
  }
  return out;
}

std::vector<std::string> Manifest::files() const {
  std::vector<std::string> out = {fileName.str(), program.path};
  for (const std::optional<File> &file : {aot, kernels, table, spec})
    if (file)
      out.push_back(file->path);
  if (report)
    out.push_back(*report);
  return out;
}

Error Manifest::compare(const Manifest &record) const {
  std::string difference = differenceOf(json::Value(recordJSON()),
                                        json::Value(record.recordJSON()), "");
  if (difference.empty())
    return Error::success();
  return fail("{0}", difference);
}

Error Manifest::write(StringRef folder) const {
  if (Error error = check())
    return error;
  SmallString<128> path(folder);
  sys::path::append(path, fileName);
  return writeTextAtomically(path, formatv("{0:2}\n", toJSON()).str());
}

Expected<int64_t> Manifest::planIndex(StringRef name) const {
  if (fixed && name != plans.front())
    return fail("the plan '{0}' is compiled in for every row, so that none can "
                "follow '{1}'; build the spec without --fixed for that",
                plans.front(), name);
  if (name == unsteered)
    return unsteeredIndex;
  auto it = find(plans, name);
  if (it == plans.end())
    return fail("there is no plan '{0}'; the program has {1}, and {2} for no "
                "steering",
                name, listOf(plans), unsteered);
  return it - plans.begin();
}

bool Manifest::planHas(int64_t plan, bool edits) const {
  if (plan < 0 || plan >= static_cast<int64_t>(plans.size()))
    return false;
  return policies.empty() || any_of(policies, [&](const Policy &policy) {
           return policy.edits == edits && is_contained(policy.plans, plans[plan]);
         });
}

bool Manifest::planEdits(int64_t plan) const { return planHas(plan, true); }
bool Manifest::planRecords(int64_t plan) const { return planHas(plan, false); }

Expected<size_t> Manifest::knobIndex(StringRef name) const {
  for (auto [index, knob] : enumerate(knobs))
    if (knob.name == name)
      return index;
  if (fixed)
    for (const Fixed::Knob &knob : fixed->knobs)
      if (knob.name == name)
        return fail("knob '{0}' is compiled in as {1}; build the spec with "
                    "another value, or without --fixed",
                    name, shortNumber(knob.value));
  std::vector<std::string> names;
  for (const Knob &knob : knobs)
    names.push_back(knob.name);
  return fail("there is no knob '{0}'; the program has {1}", name,
              listOf(names));
}

} // namespace weir
