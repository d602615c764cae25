/*
 * schema_document.h: the documents that schemas refer to.
 */
#ifndef PROMOTE_REGISTRY_SCHEMA_DOCUMENT_H
#define PROMOTE_REGISTRY_SCHEMA_DOCUMENT_H

extern void schema_document_init(void);

#endif							/* PROMOTE_REGISTRY_SCHEMA_DOCUMENT_H */
