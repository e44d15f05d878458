//===- SiteMap.cpp - Where a family's blocks have their parts ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SiteMap.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/YAMLTraits.h"

using namespace llvm;
using weir::fx::SiteMap;

static const char familiesText[] =
#include "Families.inc"
    ;

LLVM_YAML_IS_SEQUENCE_VECTOR(SiteMap)

template <> struct yaml::MappingTraits<SiteMap> {
  static void mapping(IO &io, SiteMap &map) {
    io.mapRequired("family", map.family);
    io.mapOptional("like", map.like);
    io.mapRequired("res", map.res);
    for (const char *part : {"att", "att_norm", "mlp", "mlp_norm", "mid",
                             "head", "up", "gate", "down", "unembedding"})
      io.mapOptional(part, *map.find(part));
  }
};

namespace weir::fx {

std::string *SiteMap::find(StringRef part) {
  return StringSwitch<std::string *>(part)
      .Case("res", &res)
      .Case("att", &att)
      .Case("att_norm", &attNorm)
      .Case("mlp", &mlp)
      .Case("mlp_norm", &mlpNorm)
      .Case("mid", &mid)
      .Case("head", &head)
      .Case("up", &up)
      .Case("gate", &gate)
      .Case("down", &down)
      .Case("unembedding", &unembedding)
      .Default(nullptr);
}

/// Every part of a block has a number, the unembedding has none.
static Error checkMap(SiteMap &map) {
  if (map.res.empty())
    return createStringError("a map of sites needs 'res', the path of a block");
  for (StringRef part : {"res", "att", "att_norm", "mlp", "mlp_norm", "mid",
                         "head", "up", "gate", "down"}) {
    const std::string &path = *map.find(part);
    if (!path.empty() && StringRef(path).count("{layer}") != 1)
      return createStringError("the path of '" + part + "', '" + path +
                               "', does not contain {layer} once");
  }
  return Error::success();
}

Expected<std::vector<SiteMap>> parseFamilies(StringRef text) {
  std::string problem;
  auto keep = [](const SMDiagnostic &diagnostic, void *into) {
    std::string &text = *static_cast<std::string *>(into);
    if (text.empty())
      text = ("line " + Twine(diagnostic.getLineNo()) + ": " +
              diagnostic.getMessage())
                 .str();
  };
  std::vector<SiteMap> maps;
  yaml::Input input(text, nullptr, keep, &problem);
  input >> maps;
  if (input.error())
    return createStringError("families: " + problem);
  for (SiteMap &map : maps)
    if (Error error = checkMap(map))
      return std::move(error);
  return maps;
}

SiteMap loosened(SiteMap map) {
  map.loose = true;
  map.attNorm.clear();
  map.mlpNorm.clear();
  return map;
}

const std::vector<SiteMap> &knownFamilies() {
  // The text is a part of the program, so that it can be read is a fact.
  static const std::vector<SiteMap> maps = cantFail(parseFamilies(familiesText));
  return maps;
}

Expected<SiteMap> parseSiteMap(StringRef text) {
  SiteMap map;
  map.given = true;
  SmallVector<StringRef> entries;
  text.split(entries, ',', -1, /*KeepEmpty=*/false);
  for (StringRef entry : entries) {
    auto [key, path] = entry.split('=');
    std::string *part = map.find(key.trim());
    if (!part)
      return createStringError("a map of sites has no part '" + key.trim() +
                               "'");
    if (path.trim().empty() || !part->empty())
      return createStringError("the part '" + key.trim() +
                               "' has no path, or two");
    *part = path.trim().str();
  }
  if (Error error = checkMap(map))
    return std::move(error);
  return map;
}

std::string pathOf(StringRef pathTemplate, int64_t layer) {
  auto [before, after] = pathTemplate.split("{layer}");
  if (before.size() == pathTemplate.size())
    return pathTemplate.str();
  return (before + Twine(layer) + after).str();
}

} // namespace weir::fx
