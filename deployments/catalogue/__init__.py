"""The catalogue: uploads that are never lost. What lies here knows neither Ray nor HTTP."""
