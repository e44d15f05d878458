//===- Resources.cpp - What a compilation opens, once ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "weir/Resources/Resources.h"

#include "llvm/Support/Path.h"

using namespace weir;
using llvm::StringRef;

std::shared_ptr<Resources>
Resources::create(ResourceOptions options,
                  std::shared_ptr<const Archive> model) {
  return std::shared_ptr<Resources>(
      new Resources(std::move(options), std::move(model)));
}

std::string Resources::pathOf(StringRef path) const {
  if (llvm::sys::path::is_absolute(path))
    return path.str();
  llvm::SmallString<256> whole(settings.base);
  llvm::sys::path::append(whole, path);
  return whole.str().str();
}

llvm::Expected<std::shared_ptr<const Archive>> Resources::model() {
  std::lock_guard lock(mutex);
  if (archive || settings.model.empty())
    return archive;
  auto opened = Archive::open(settings.model);
  if (!opened)
    return opened.takeError();
  return archive = std::move(*opened);
}

llvm::Expected<ResultCache> Resources::cache() {
  std::lock_guard lock(mutex);
  if (!results) {
    auto opened = ResultCache::open(settings.cache);
    if (!opened)
      return opened.takeError();
    results = std::move(*opened);
  }
  return *results;
}

llvm::Expected<matching::Matcher>
Resources::matcher(matching::Matcher::Settings matcherSettings) {
  auto opened = cache();
  if (!opened)
    return opened.takeError();
  matcherSettings.engine.threads = settings.threads;
  matcherSettings.unitRows = settings.unitRows;
  return matching::Matcher(std::move(*opened), std::move(matcherSettings));
}

llvm::Expected<ModelTokens>
Resources::tokens(llvm::ArrayRef<std::string> texts) const {
  if (lookup)
    return lookup(texts);
  if (texts.empty())
    return ModelTokens();
  return llvm::createStringError("there is no model to ask");
}

Resources::Opened Resources::dictionary(StringRef key,
                                        llvm::function_ref<Opened()> open) {
  {
    std::lock_guard lock(mutex);
    if (auto found = dictionaries.find(key); found != dictionaries.end())
      return found->second;
  }
  // Opening may need the model.
  auto opened = open();
  if (!opened)
    return opened.takeError();
  std::lock_guard lock(mutex);
  return dictionaries.try_emplace(key, std::move(*opened)).first->second;
}
