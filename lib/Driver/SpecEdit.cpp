//===- SpecEdit.cpp - A spec with other settings in it ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecEdit.h"

#include "weir/Spec/YAML.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace weir;
using spec::SourceRange;
using spec::YamlEntry;
using spec::YamlNode;

static const YamlEntry *entryOf(const YamlNode *map, StringRef key) {
  if (map)
    for (const YamlEntry &entry : map->entries)
      if (entry.key.value == key)
        return &entry;
  return nullptr;
}

static const YamlNode *valueOf(const YamlNode *map, StringRef key) {
  const YamlEntry *entry = entryOf(map, key);
  return entry ? &entry->value : nullptr;
}

namespace {
/// Parts of a text that become other ones.
class Edits {
public:
  explicit Edits(StringRef text) : text(text) {}
  StringRef at(SourceRange range) const {
    return text.slice(range.begin, range.end);
  }
  void replace(SourceRange range, const Twine &by) {
    edits.push_back({range, by.str()});
  }
  /// Puts an entry before another one of a mapping, of either style.
  void insertBefore(const YamlNode &map, const YamlEntry &entry,
                    const Twine &added) {
    uint32_t begin = entry.key.range.begin;
    StringRef line = text.take_front(begin);
    line = line.drop_front(line.rfind('\n') + 1); // npos + 1 is 0
    std::string between =
        text[map.range.begin] == '{'
            ? std::string(", ")
            : (text.contains("\r\n") ? "\r\n" : "\n") +
                  std::string(line.size(), ' ');
    replace({begin, begin}, added + between);
  }
  std::string apply() {
    llvm::sort(edits, [](const Edit &a, const Edit &b) {
      return a.range.begin < b.range.begin;
    });
    std::string result;
    uint32_t done = 0;
    for (const Edit &edit : edits) {
      result += text.slice(done, edit.range.begin);
      result += edit.by;
      done = edit.range.end;
    }
    return result + text.drop_front(done).str();
  }

private:
  struct Edit {
    SourceRange range;
    std::string by;
  };
  StringRef text;
  std::vector<Edit> edits;
};
} // namespace

/// A mapping in braces to its closing one, which may be lines behind the last value.
static SourceRange wholeRange(StringRef text, SourceRange range) {
  if (text[range.begin] != '{' || text[range.end - 1] == '}')
    return range;
  for (size_t end = range.end; end < text.size(); ++end) {
    if (text[end] == '}')
      return {range.begin, static_cast<uint32_t>(end + 1)};
    if (text[end] == '#')
      end = std::min(text.find('\n', end), text.size());
    else if (!StringRef(" \t\r\n,").contains(text[end]))
      break;
  }
  return range;
}

static Error setKnob(const YamlNode &root, const SpecSetting::Knob &knob,
                     Edits &edits) {
  const YamlNode *number =
      valueOf(valueOf(valueOf(&root, "knobs"), knob.name), "default");
  if (!number || !number->isScalar())
    return createStringError("the knob '" + knob.name +
                             "' has no default in the spec");
  edits.replace(number->range, knob.value);
  return Error::success();
}

/// What a strength says beside its form.
static constexpr StringLiteral keptKeys[] = {"times", "weight"};

static Error setForm(StringRef text, const YamlNode &root,
                     const SpecSetting &setting, Edits &edits) {
  const YamlNode *policy = valueOf(valueOf(&root, "policies"), setting.policy);
  const YamlEntry *strength = entryOf(policy, "strength");
  if (!strength)
    return createStringError("the policy '" + setting.policy +
                             "' has no strength in the spec");
  std::string written = "{value: " + setting.value;
  if (!setting.schedule.empty())
    written += ", " + setting.schedule;
  for (const YamlEntry &entry : strength->value.entries)
    if (is_contained(keptKeys, entry.key.value))
      written += (", " + entry.key.value + ": " +
                  edits.at(entry.value.range))
                     .str();
  edits.replace(wholeRange(text, strength->value.range), written + "}");
  if (const YamlNode *layers = valueOf(policy, "layers"))
    edits.replace(layers->range, setting.layers);
  else if (setting.layers != "own")
    edits.insertBefore(*policy, *strength, "layers: " + setting.layers);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Whether an edited text says what it is to say
//===----------------------------------------------------------------------===//

/// Whatever the layout and the order of keys.
static bool areEqual(const YamlNode &a, const YamlNode &b) {
  return a.kind == b.kind && a.text == b.text && a.quoted == b.quoted &&
         llvm::equal(a.items, b.items, areEqual) &&
         a.entries.size() == b.entries.size() &&
         llvm::all_of(a.entries, [&](const YamlEntry &entry) {
           const YamlNode *other = valueOf(&b, entry.key.value);
           return other && areEqual(entry.value, *other);
         });
}

static YamlNode *valueOf(YamlNode *map, StringRef key) {
  return const_cast<YamlNode *>(
      valueOf(static_cast<const YamlNode *>(map), key));
}

static void put(YamlNode &map, StringRef key, const YamlNode &value) {
  if (YamlNode *old = valueOf(&map, key)) {
    *old = value;
    return;
  }
  YamlEntry entry;
  entry.key.value = key.str();
  entry.value = value;
  map.entries.push_back(std::move(entry));
}

/// Changes a spec's tree as `setKnob` and `setForm` change its text. They have found
/// what is looked for here.
static void apply(YamlNode &root, const SpecSetting &setting,
                  mlir::MLIRContext *context) {
  for (const SpecSetting::Knob &knob : setting.knobs) {
    YamlNode &number =
        *valueOf(valueOf(valueOf(&root, "knobs"), knob.name), "default");
    number.text = knob.value;
    number.quoted = false;
  }
  if (setting.policy.empty())
    return;
  std::string text = "strength: {value: " + setting.value;
  if (!setting.schedule.empty())
    text += ", " + setting.schedule;
  text += "}\nlayers: " + setting.layers + "\n";
  spec::SourceFile file("", text);
  spec::Reporter reporter(file, context);
  std::optional<YamlNode> form = spec::parseYaml(file, reporter);
  assert(form && !reporter.failed() && "forms are written as YAML");
  YamlNode &policy = *valueOf(valueOf(&root, "policies"), setting.policy);
  YamlNode &strength = *valueOf(&*form, "strength");
  for (StringRef key : keptKeys)
    if (const YamlNode *kept = valueOf(valueOf(&policy, "strength"), key))
      put(strength, key, *kept);
  put(policy, "strength", strength);
  if (valueOf(&policy, "layers") || setting.layers != "own")
    put(policy, "layers", *valueOf(&*form, "layers"));
}

Expected<std::string> weir::withSetting(StringRef text,
                                        const SpecSetting &setting,
                                        mlir::MLIRContext *context) {
  spec::SourceFile file("", text);
  spec::Reporter reporter(file, context);
  std::optional<YamlNode> root = spec::parseYaml(file, reporter);
  if (!root)
    return createStringError("the spec has changed meanwhile");
  Edits edits(text);
  for (const SpecSetting::Knob &knob : setting.knobs)
    if (Error error = setKnob(*root, knob, edits))
      return std::move(error);
  if (!setting.policy.empty())
    if (Error error = setForm(text, *root, setting, edits))
      return std::move(error);
  std::string edited = edits.apply();
  // YAML has more ways to write a thing than are looked for here, so that all of the
  // new text is compared with what it is to say.
  // What is wrong with it is told as one thing, and not at lines that nobody sees.
  mlir::ScopedDiagnosticHandler quiet(
      context, [](mlir::Diagnostic &) { return mlir::success(); });
  spec::SourceFile again("", edited);
  spec::Reporter problems(again, context);
  std::optional<YamlNode> read = spec::parseYaml(again, problems);
  apply(*root, setting, context);
  if (!read || problems.failed() || !areEqual(*read, *root))
    return createStringError("the setting cannot be put into the spec as it is "
                             "laid out; write it by hand");
  return edited;
}

static std::string folderOf(StringRef path) {
  StringRef parent = sys::path::parent_path(path);
  SmallString<256> real;
  if (sys::fs::real_path(parent.empty() ? StringRef(".") : parent, real))
    return parent.str();
  return real.str().str();
}

Error weir::checkEditedSpec(StringRef spec, StringRef output) {
  if (sys::fs::exists(output))
    return createStringError("'" + output +
                             "' is there already and is not replaced; remove "
                             "it, or choose another name");
  std::string folder = folderOf(spec);
  if (folderOf(output) != folder)
    return createStringError("the paths in a spec are relative to its folder; "
                             "choose a name in '" +
                             folder + "'");
  return Error::success();
}
