//===- Manifest.cpp - What a folder with a program holds ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Runtime/Manifest.h"

#include "Support.h"

#include "weir/Program/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;

namespace weir {
namespace {

/// Reads typed members of one JSON object and keeps the first error, so that
/// the code that reads a manifest stays a list of its keys.
class Reader {
public:
  Reader(const json::Object &object, std::string where, Error &error)
      : object(object), where(std::move(where)), error(error) {}

  std::string string(StringRef key) {
    if (std::optional<StringRef> text = object.getString(key))
      return text->str();
    report(key, "a string");
    return {};
  }

  int64_t integer(StringRef key) {
    if (std::optional<int64_t> number = object.getInteger(key))
      return *number;
    report(key, "an integer");
    return 0;
  }

  double number(StringRef key) {
    if (std::optional<double> number = object.getNumber(key))
      return *number;
    report(key, "a number");
    return 0;
  }

  std::vector<std::string> strings(StringRef key) {
    std::vector<std::string> out;
    const json::Array *array = object.getArray(key);
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
    const json::Value *value = object.get(key);
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

  std::optional<Manifest::File> file(StringRef key) {
    const json::Value *value = object.get(key);
    if (!value || value->kind() == json::Value::Null)
      return std::nullopt;
    const json::Object *inner = value->getAsObject();
    if (!inner) {
      report(key, "an object with \"path\" and \"sha256\"");
      return std::nullopt;
    }
    Reader reader(*inner, (where + key + ".").str(), error);
    Manifest::File out;
    out.path = reader.string("path");
    out.sha256 = reader.string("sha256");
    return out;
  }

private:
  void report(StringRef key, StringRef what) {
    if (!error)
      error = fail("\"{0}{1}\" must be {2}", where, key, what);
  }

  const json::Object &object;
  std::string where;
  Error &error;
};

Error checkFile(const Manifest::File &file, StringRef key) {
  if (file.path.empty() || sys::path::is_absolute(file.path) ||
      StringRef(file.path).contains('\0') ||
      is_contained(llvm::make_range(sys::path::begin(file.path),
                                    sys::path::end(file.path)),
                   ".."))
    return fail("\"{0}.path\" is '{1}': it must stay inside the folder", key,
                file.path);
  if (file.sha256.size() != 64 ||
      !all_of(file.sha256, [](char c) {
        return isDigit(c) || (c >= 'a' && c <= 'f');
      }))
    return fail("\"{0}.sha256\" must be 64 lower-case hexadecimal digits", key);
  return Error::success();
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
  if (spec)
    if (Error error = checkFile(*spec, "spec"))
      return error;

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
    if (!std::isfinite(knob.min) || !std::isfinite(knob.max) ||
        !(knob.min <= knob.defaultValue && knob.defaultValue <= knob.max))
      return fail("the default {0} of knob '{1}' is not within {2}..{3}",
                  shortNumber(knob.defaultValue), knob.name,
                  shortNumber(knob.min), shortNumber(knob.max));

  std::vector<std::string> expected = {"input_ids", "positions"};
  if (inputs.size() > 2 || !plans.empty() || !knobs.empty()) {
    expected.insert(expected.end(), {"prompt_length", "plan"});
    if (!knobs.empty())
      expected.push_back("knobs");
  }
  if (inputs != expected)
    return fail("\"inputs\" are {0}, but a program with {1} plans and {2} "
                "knobs takes {3}",
                listOf(inputs), plans.size(), knobs.size(), listOf(expected));
  if (outputs.empty() || outputs.front() != "logits")
    return fail("the first of \"outputs\" must be logits");
  for (const Record &record : records)
    if (record.output < 1 ||
        record.output >= static_cast<int64_t>(outputs.size()))
      return fail("record '{0}' names output {1}; the program has {2}",
                  record.name, record.output, outputs.size());
  for (const Site &site : sites)
    if (site.layer < 0 || site.site.empty())
      return fail("\"sites\" has an entry without a name or with a negative "
                  "layer");
  return Error::success();
}

Expected<Manifest> Manifest::parse(StringRef text) {
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
  std::optional<File> programFile = reader.file("program");
  out.aot = reader.file("aot");
  out.spec = reader.file("spec");
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
                           entry.strings("features")});
  });
  out.plans = reader.strings("plans");
  out.inputs = reader.strings("inputs");
  out.outputs = reader.strings("outputs");
  if (error)
    return std::move(error);
  if (!programFile)
    return fail("\"program\" is missing");
  out.program = std::move(*programFile);
  if (Error wrong = out.check())
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

json::Value Manifest::toJSON() const {
  auto fileValue = [](const File &file) {
    return json::Object{{"path", file.path}, {"sha256", file.sha256}};
  };
  auto list = [](const auto &range, auto convert) {
    json::Array array;
    for (const auto &element : range)
      array.push_back(convert(element));
    return array;
  };
  json::Object out{{"weir", 1}, {"program", fileValue(program)}};
  if (aot)
    out["aot"] = fileValue(*aot);
  if (spec)
    out["spec"] = fileValue(*spec);
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
    return json::Object{{"name", entry.name},
                        {"output", entry.output},
                        {"features", json::Array(entry.features)}};
  });
  return out;
}

Error Manifest::write(StringRef folder) const {
  if (Error error = check())
    return error;
  SmallString<128> path(folder);
  sys::path::append(path, fileName);
  return writeTextAtomically(path, formatv("{0:2}\n", toJSON()).str());
}

Expected<int64_t> Manifest::planIndex(StringRef name) const {
  if (name == unsteered)
    return unsteeredIndex;
  auto it = find(plans, name);
  if (it == plans.end())
    return fail("there is no plan '{0}'; the program has {1}, and {2} for no "
                "steering",
                name, listOf(plans), unsteered);
  return it - plans.begin();
}

Expected<size_t> Manifest::knobIndex(StringRef name) const {
  for (auto [index, knob] : enumerate(knobs))
    if (knob.name == name)
      return index;
  std::vector<std::string> names;
  for (const Knob &knob : knobs)
    names.push_back(knob.name);
  return fail("there is no knob '{0}'; the program has {1}", name,
              listOf(names));
}

} // namespace weir
